// Numbers and labels as a person reads them.

/** A share: never 100 % where something is left. */
export function percent(share) {
  if (share >= 0.9995) return "> 99.9 %";
  if (share < 0.0005) return "0 %";
  return `${(100 * share).toFixed(share < 0.1 || share >= 0.99 ? 1 : 0)} %`;
}

/** A label in a sentence; -1 is no digit. */
export const named = (label) => (label < 0 ? "no digit" : `${label === 8 ? "an" : "a"} ${label}`);
