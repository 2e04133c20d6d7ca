// The names of curves and the text alternatives of the live views.

import { page } from "lab/core/page.js";
import { whole } from "lab/core/format.js";

const words = page.parts.demo.words;

export const WORDS = { ...words, finite: (width) => words.finite.replace("{width}", whole(width)) };
