/** Longer than any name that a model has; a damaged file may "name" a tensor with megabytes. */
const MAX_SHOWN = 80;

/** A name from a file as messages show it: in quotes, control characters escaped, cut when it is absurdly long. */
export function quote(name: string): string {
  return JSON.stringify(name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}...` : name);
}
