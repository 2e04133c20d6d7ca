"""Pictures in several steps that are computed once and kept with the page, one file each."""

from ._story import Story as Story
