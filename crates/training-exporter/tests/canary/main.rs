//! The real program with canary sets, and with the Python module that writes what it reads.

mod callback;
mod golden;
mod lab;
mod life;
