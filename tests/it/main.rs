//! Integration tests: one binary, one module per subject.

<<<<<<< HEAD
mod permissions;
=======
mod relay;
>>>>>>> a8790e8 (Catch mail on loopback, stage every outcome, prove the limits)
mod schema;
mod support;
