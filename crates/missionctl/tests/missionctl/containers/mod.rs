//! The docker backend with a real engine, and what it says of one that is not as it should be. `make test-compose` has
//! the engine, the images and `docker compose` ready.

mod engines;
mod failures;
mod host;
mod lab;
mod life;
mod registry;
