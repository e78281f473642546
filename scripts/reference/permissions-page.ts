import { PERMISSIONS, ROLES } from '../../libs/access/src/permissions.ts';
import { code, type Page } from './table.ts';

/** Which role may do what. */
export function permissionsPage(): Page {
  const roles = Object.entries(ROLES) as [string, readonly string[]][];
  return {
    title: 'Permissions',
    about:
      'What each role may do with the REST API. A user has one or more roles; who is not an administrator gives only roles of their own.',
    sections: [
      {
        heading: '',
        columns: ['permission', ...roles.map(([role]) => role)],
        rows: PERMISSIONS.map((permission) => [
          code(permission),
          ...roles.map(([, granted]) => (granted.includes(permission) ? 'yes' : '')),
        ]),
      },
    ],
  };
}
