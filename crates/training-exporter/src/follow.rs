//! Follows files that others write: what came since the last look, each byte once, over replacement, truncation and,
//! with a [`Position`] that was kept, over a restart.
//!
//! A [`Tail`] follows one file, under whatever name; a [`Follower`] follows whatever file has a name. Nothing of the
//! file is kept between two looks but the last bytes that were taken. They tell a file that was written anew from one
//! that grew, even where it is longer than before or got the number of a deleted one.

mod tail;

use std::io;
use std::path::PathBuf;

pub(crate) use tail::{Line, Position, Progress, Tail};

/// Whatever file has a name. When another file takes the name, the earlier one is read to its end first.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    tail: Option<Tail>,
    position: Option<Position>,
}

impl Follower {
    /// Follows the file of this name from its beginning, or from a position where it is still the same file.
    pub(crate) fn new(path: PathBuf, position: Option<Position>) -> Self {
        Self {
            path,
            tail: None,
            position,
        }
    }

    /// How far the file was read.
    pub(crate) fn position(&self) -> Option<Position> {
        self.tail
            .as_ref()
            .map(Tail::position)
            .or_else(|| self.position.clone())
    }

    /// Closes the file; the next look opens it again.
    pub(crate) fn close(&mut self) {
        self.position = self.position();
        self.tail = None;
    }

    /// Looks at the file with [`Tail::lines`] or [`Tail::bytes`]. An error of kind `NotFound` means that there is none.
    pub(crate) fn look(
        &mut self,
        read: impl FnOnce(&mut Tail) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        let Some(tail) = &mut self.tail else {
            let resumed = match self.position.take() {
                Some(position) => match Tail::resume(&self.path, &position) {
                    Ok(Some(tail)) => tail,
                    Ok(None) => {
                        self.tail = Some(Tail::open(&self.path)?);
                        return Ok(Progress::Restarted);
                    }
                    Err(error) => {
                        self.position = Some(position);
                        return Err(error);
                    }
                },
                None => Tail::open(&self.path)?,
            };
            return read(self.tail.insert(resumed));
        };
        let progress = read(tail)?;
        if progress != Progress::Current || tail.is(&self.path.metadata()?) {
            return Ok(progress);
        }
        self.tail = Some(Tail::open(&self.path)?);
        Ok(Progress::Restarted)
    }
}

#[cfg(test)]
mod tests;
