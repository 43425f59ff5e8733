"""Speech as a net sees it: recordings of single words, frames of them as images, and words recognised from the states of frames."""
