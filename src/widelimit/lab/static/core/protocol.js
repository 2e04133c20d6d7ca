// The constants of the protocol that the page knows; _protocol.py defines them, and a test compares.

export const VERSION = 1;

/** Codes with which the server closes for good: trying again would change nothing. */
export const FINAL = [4401, 4406];
