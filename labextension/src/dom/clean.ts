/** Text of others, as it may stand on a screen: without what would colour, move or reverse what stands beside it. */

/* eslint-disable no-control-regex -- they are what is looked for */
const ESCAPES =
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]/g;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Escape sequences, control characters (but tabs and line ends) and marks that change the direction are gone. */
export function clean(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(ESCAPES, '').replace(CONTROLS, '').replace(BIDI, '');
}

/** At most so many characters, with a sign where some were left out. */
export function short(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
