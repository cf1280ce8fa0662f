//! Layouts in other forms than skopeo's default, through pre-run, post-run and results.
//!
//! Every test starts from a train that the reference made, writes it in another form by `tests/python/reform.py`, and
//! carries it over a station. What is opened must be what the plain form opens to.

mod documents;
mod layers;
mod platforms;
