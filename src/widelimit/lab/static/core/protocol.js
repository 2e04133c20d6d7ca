// The constants of the protocol that the page knows; _protocol.py defines them, and a test compares.

export const VERSION = 1;

/** Codes with which the server closes for good: trying again would change nothing. */
export const FINAL = [4401, 4406];

/** Characters of the longest message that the server reads. */
export const LARGEST_MESSAGE = 65536;
