/** Sizes beyond these are not a model but a damaged file or a slip of the keys; no published model comes near. */
export const MAX_AXIS = 1 << 24;
export const MAX_LAYERS = 4096;
