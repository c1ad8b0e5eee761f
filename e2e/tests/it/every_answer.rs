//! every_answer
