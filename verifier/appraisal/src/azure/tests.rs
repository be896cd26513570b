//! To come with the report's.
