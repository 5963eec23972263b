import type { Graph } from './ir.ts';
import { pictureOf } from './picture.ts';

/** A graph as a Mermaid flowchart: shown by many sites and editors where it stands in a Markdown file. */
export function graphMermaid(graph: Graph): string {
  const { boxes, arrows } = pictureOf(graph);
  const text = (line: string): string => line.replace(/[^\w .,()[\]+-]/g, (c) => `#${c.codePointAt(0)};`);
  return [
    'flowchart TD',
    ...boxes.map(({ title, lines, kind }, i) => `  n${i}["${[title, ...lines].map(text).join('<br>')}"]:::${kind}`),
    ...arrows.map(({ from, to }) => `  n${from} --> n${to}`),
    '  classDef feed fill:#eee,stroke:#888,color:#111',
    '  classDef matrix fill:#cfe3ff,stroke:#3a6ea5,color:#111',
    '  classDef attention fill:#ffe2c2,stroke:#b8722c,color:#111',
    '  classDef cache fill:#d8f0d2,stroke:#4c8a3f,color:#111',
    '  classDef rows fill:#fff,stroke:#888,color:#111',
    '  classDef omitted fill:#fff,stroke:#888,color:#111,stroke-dasharray:4',
    '',
  ].join('\n');
}
