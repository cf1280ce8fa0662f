//! What must be refused, with which exit status; and a refusal leaves the layout byte for byte as it was.

mod case;
mod image;
mod key;
mod route;
mod run;
mod train_files;
