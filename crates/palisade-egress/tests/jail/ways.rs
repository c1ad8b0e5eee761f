use crate::rig::Test;
pub(crate) const TESTS: &[Test] = &[];
