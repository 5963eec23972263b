/**
 * String formats as patterns (schema/pattern.ts). Each is a part of what the format allows, all of it valid: February has 28 days,
 * seconds end at 59, fractions have at most six digits, letters are plain ones.
 * Source: JSON Schema 2020-12, validation 7.3; RFC 3339, RFC 4122, RFC 2673, RFC 5321.
 */
const DATE =
  '\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const TIME = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
const HEX = '[0-9a-f]';
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?';

export const FORMAT_PATTERNS: ReadonlyMap<string, string> = new Map([
  ['date', `^${DATE}$`],
  ['time', `^${TIME}$`],
  ['date-time', `^${DATE}T${TIME}$`],
  ['uuid', `^${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}$`],
  ['ipv4', `^${BYTE}(?:\\.${BYTE}){3}$`],
  ['email', `^[A-Za-z0-9_+-]{1,16}(?:\\.[A-Za-z0-9_+-]{1,16}){0,2}@${LABEL}(?:\\.${LABEL}){1,3}$`],
]);
