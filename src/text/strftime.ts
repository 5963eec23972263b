import { ConfigError } from '../core/errors.ts';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/**
 * Python's strftime for the directives that chat templates use: %Y %y %m %d %e %B %b %A %a %H %I %M %S %p %j %%, and "%-d" and
 * its like without leading zeros. In UTC and English, so that every host writes the same.
 * Throws ConfigError for other directives.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)(.?)/gsu, (directive, dash: string, letter: string) => {
    const text = field(date, letter);
    if (text === null) throw new ConfigError(`chat template: strftime_now does not know "${directive}"`);
    return dash === '' ? text : text.replace(/^[0 ]+(?=.)/, '');
  });
}

function field(date: Date, letter: string): string | null {
  const pad = (n: number, width = 2) => String(n).padStart(width, '0');
  const hour = date.getUTCHours();
  const month = MONTHS[date.getUTCMonth()]!;
  const day = DAYS[date.getUTCDay()]!;
  switch (letter) {
    case 'Y':
      return pad(date.getUTCFullYear(), 4);
    case 'y':
      return pad(date.getUTCFullYear() % 100);
    case 'm':
      return pad(date.getUTCMonth() + 1);
    case 'd':
      return pad(date.getUTCDate());
    case 'e':
      return String(date.getUTCDate()).padStart(2, ' ');
    case 'B':
      return month;
    case 'b':
      return month.slice(0, 3);
    case 'A':
      return day;
    case 'a':
      return day.slice(0, 3);
    case 'H':
      return pad(hour);
    case 'I':
      return pad(hour % 12 === 0 ? 12 : hour % 12);
    case 'M':
      return pad(date.getUTCMinutes());
    case 'S':
      return pad(date.getUTCSeconds());
    case 'p':
      return hour < 12 ? 'AM' : 'PM';
    case 'j':
      return pad(
        (Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) -
          Date.UTC(date.getUTCFullYear(), 0, 0)) /
          DAY_MS,
        3,
      );
    case '%':
      return '%';
    default:
      return null;
  }
}

const DAY_MS = 86_400_000;
