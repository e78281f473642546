/**
 * Jazzer.js ships its fuzzer built for glibc 2.38, of which it takes no more than C23's names for strtol and strtoul (and an
 * initialiser of libstdc++ that older ones run by themselves). On an older system those three come from a library of a few
 * lines, and the demand for the version is made weak in a copy of the fuzzer.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NEWER = ['GLIBC_2.38', 'GLIBCXX_3.4.32'];
const SOURCE = `#include <stdlib.h>
long __isoc23_strtol(const char *s, char **end, int base) { return strtol(s, end, base); }
unsigned long __isoc23_strtoul(const char *s, char **end, int base) { return strtoul(s, end, base); }
void _ZSt21ios_base_library_initv(void) {}
`;
/** Section type and flag of the ELF format, as in <elf.h>. */
const SHT_GNU_VERNEED = 0x6ffffffe;
const VER_FLG_WEAK = 2;

/** Node's arguments and environment under which the fuzzer loads. `folder` is for the copy; a C compiler must be there. */
export function fuzzerSettings(root, folder) {
  const version = process.report.getReport().header.glibcVersionRuntime;
  if (version === undefined || Number(version.split('.')[1]) >= 38) return { args: [], env: {} };
  const name = `fuzzer-linux-${process.arch}.node`;
  const [library, copy, hook] = ['libc23.so', name, 'dlopen.cjs'].map((file) => join(folder, file));
  execFileSync('cc', ['-shared', '-fPIC', '-x', 'c', '-', '-o', library], { input: SOURCE });
  const fuzzer = readFileSync(join(root, 'node_modules/@jazzer.js/fuzzer/prebuilds', name));
  weaken(fuzzer);
  writeFileSync(copy, fuzzer);
  const open = `const open = process.dlopen; process.dlopen = (m, file, ...rest) =>
  open(m, file.endsWith(${JSON.stringify(name)}) ? ${JSON.stringify(copy)} : file, ...rest);\n`;
  writeFileSync(hook, open);
  return { args: ['--require', hook], env: { LD_PRELOAD: library } };
}

/** Marks the versions in NEWER as weak wherever the ELF file asks for them (64 bits, little-endian). */
function weaken(elf) {
  const [table, size, count] = [
    elf.readBigUInt64LE(40),
    elf.readUInt16LE(58),
    elf.readUInt16LE(60),
  ];
  const section = (index) => Number(table) + index * size;
  const offset = (index) => Number(elf.readBigUInt64LE(section(index) + 24));
  for (let index = 0; index < count; index++) {
    if (elf.readUInt32LE(section(index) + 4) !== SHT_GNU_VERNEED) continue;
    const strings = offset(elf.readUInt32LE(section(index) + 40));
    for (const library of chain(elf, offset(index), 12)) {
      for (const version of chain(elf, library + elf.readUInt32LE(library + 8), 12)) {
        const name = strings + elf.readUInt32LE(version + 8);
        if (NEWER.includes(elf.toString('latin1', name, elf.indexOf(0, name))))
          elf.writeUInt16LE(elf.readUInt16LE(version + 4) | VER_FLG_WEAK, version + 4);
      }
    }
  }
}

/** Offsets of records that each say at `link` how far away the next one is. */
function* chain(elf, first, link) {
  for (let at = first, step = 1; step !== 0; at += step) {
    yield at;
    step = elf.readUInt32LE(at + link);
  }
}
