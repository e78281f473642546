import Sequencer from '@jest/test-sequencer';

/** Suites that start whole PKIs. */
const LONG = /\/services\/gigvault\/test\//;

/**
 * Long suites first, the short ones fill up what is left, and no worker ends alone with minutes before it. By itself Jest
 * begins with the largest files where it has measured nothing yet, as on a machine of CI, and kills under load are a small one.
 *
 * @public jest.config.mjs names it.
 */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    return super.sort(tests).sort((a, b) => LONG.test(b.path) - LONG.test(a.path));
  }
}
