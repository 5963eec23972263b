import type { Classification, ClassifierOptions } from '../engine/image_classifier.ts';
import { usageError } from './usage.ts';

/** A model that was given what competes: a classifier of trained labels, or a CLIP. */
export interface PictureModel extends AsyncDisposable {
  classify(picture: Uint8Array, name: string): Promise<Classification>;
}

interface Question {
  readonly labels?: readonly string[];
  readonly template?: string;
}

/** Loads whichever of the two is there. Throws a usage error for labels that it cannot answer with, before a picture is read. */
export async function loadForPictures(
  model: string,
  options: ClassifierOptions,
  { labels, template }: Question,
): Promise<PictureModel> {
  const { createNodeHost, openNodeClassifier } = await import('../platform/node.ts');
  const { decodeWithSharp } = await import('../platform/sharp.ts');
  const { isClip, loadClipFrom } = await import('../engine/clip.ts');
  const { loadImageClassifier } = await import('../engine/image_classifier.ts');
  const source = await openNodeClassifier(model);
  const loading = { other: decodeWithSharp, ...options };
  let isZeroShot: boolean;
  try {
    isZeroShot = await isClip(source);
    checkQuestion(isZeroShot, labels, template);
  } catch (e) {
    if (source.kind === 'file') await source.source.close();
    throw e;
  }
  if (isZeroShot) {
    const clip = await loadClipFrom(source, createNodeHost(), loading);
    return {
      classify: (picture, name) => clip.classify(picture, { labels: labels!, template, name }),
      [Symbol.asyncDispose]: () => clip.dispose(),
    };
  }
  const classifier = await loadImageClassifier(source, createNodeHost(), loading);
  try {
    checkLabels(labels, classifier.labels);
  } catch (e) {
    await classifier.dispose();
    throw e;
  }
  return {
    classify: (picture, name) => classifier.classify(picture, { labels, name }),
    [Symbol.asyncDispose]: () => classifier.dispose(),
  };
}

function checkQuestion(isZeroShot: boolean, labels: readonly string[] | undefined, template: string | undefined): void {
  if (!isZeroShot && template !== undefined) {
    throw usageError('--template is for a CLIP; this model was trained on its labels, leave it out');
  }
  if (isZeroShot && labels === undefined) {
    throw usageError('a CLIP has no labels of its own; give what competes with --labels "a cat,a dog"');
  }
  const wrong = labels?.find((label, i) => label === '' || labels.indexOf(label) !== i);
  if (isZeroShot && wrong !== undefined) {
    throw usageError(`labels has ${JSON.stringify(wrong)} ${wrong === '' ? 'in it' : 'twice'}; leave it out`);
  }
  if (template !== undefined && template.split('{}').length !== 2) {
    throw usageError(`template is ${JSON.stringify(template)}, expected one {} in it, where the label goes`);
  }
}

/** Throws a usage error for a label that the model does not have. */
function checkLabels(asked: readonly string[] | undefined, known: readonly string[]): void {
  const unknown = asked?.find((label) => !known.includes(label));
  if (unknown !== undefined) {
    throw usageError(
      `labels has ${JSON.stringify(unknown)}, which the model does not know; it knows ${known.join(', ')}`,
    );
  }
  const twice = asked?.find((label, i) => asked.indexOf(label) !== i);
  if (twice !== undefined) throw usageError(`labels has ${JSON.stringify(twice)} twice; leave it out`);
}
