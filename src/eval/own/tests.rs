//! One's own folder: what is in it is judged, what is wrong is named.
