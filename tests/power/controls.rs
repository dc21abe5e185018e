//! The rig must be able to fail: a disk that lies, and a program that does not wait, are found out.
