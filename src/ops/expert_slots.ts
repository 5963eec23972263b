import { ShapeError } from '../core/errors.ts';

export interface ExpertSizes {
  readonly nRows: number;
  readonly nChosen: number;
  readonly nExperts: number;
  readonly nOut: number;
  readonly nIn: number;
  /** All experts of a token read the same row. */
  readonly isShared: boolean;
}

/**
 * Who chose whom: for each expert its slots, t * nChosen + j, rising. experts: [T, nChosen], flat.
 * Throws ShapeError for a number that is no expert.
 */
export function slotsByExpert(experts: ArrayLike<number>, nExperts: number): number[][] {
  const slots: number[][] = Array.from({ length: nExperts }, () => []);
  for (let slot = 0; slot < experts.length; slot++) {
    const own = slots[experts[slot]!];
    if (own === undefined) {
      throw new ShapeError(`expert_linear: slot ${slot} chose expert ${experts[slot]}, there are ${nExperts}`);
    }
    own.push(slot);
  }
  return slots;
}

/** The first element of a slot's row in x. */
export function rowOfSlot(slot: number, { nChosen, nIn, isShared }: ExpertSizes): number {
  return isShared ? Math.floor(slot / nChosen) * nIn : slot * nIn;
}
