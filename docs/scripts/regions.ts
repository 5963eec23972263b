/**
 * Regions of a document that a script writes:
 *
 *   <!-- generated: NAME -->
 *   ...
 *   <!-- end -->
 *
 * What stands between the two lines is replaced; everything else is a person's text and is kept byte for byte.
 */
const OPEN = /^<!-- generated: (.+) -->$/;
const CLOSE = '<!-- end -->';

/** Gives the text of a region, or undefined to leave it as it is (what it needs is not on this machine). */
export type Generate = (name: string) => Promise<string | undefined>;

/**
 * The document with every region written anew, one after the other.
 * Throws Error naming the line where a region is not closed, is closed twice, or is opened inside another.
 */
export async function writeRegions(document: string, generate: Generate): Promise<string> {
  const out: string[] = [];
  let open: { readonly name: string; readonly line: number; readonly body: string[] } | undefined;
  for (const [index, line] of document.split('\n').entries()) {
    const name = OPEN.exec(line)?.[1];
    if (name !== undefined) {
      if (open) throw new Error(`line ${index + 1}: region "${name}" begins inside "${open.name}"`);
      open = { name, line: index + 1, body: [] };
      out.push(line);
    } else if (line === CLOSE) {
      if (!open) throw new Error(`line ${index + 1}: no region is open here`);
      const text = await generate(open.name);
      out.push(...(text === undefined ? open.body : [text.trimEnd()]), line);
      open = undefined;
    } else if (open) open.body.push(line);
    else out.push(line);
  }
  if (open) throw new Error(`line ${open.line}: region "${open.name}" has no "${CLOSE}"`);
  return out.join('\n');
}

/** Names of the regions, in order. */
export function regionNames(document: string): string[] {
  return document.split('\n').flatMap((line) => OPEN.exec(line)?.[1] ?? []);
}
