//! One page for each code.

#[doc = include_str!("../../docs/checks/wf001.md")]
pub mod wf001 {}

#[doc = include_str!("../../docs/checks/wf002.md")]
pub mod wf002 {}

#[doc = include_str!("../../docs/checks/wf003.md")]
pub mod wf003 {}

#[doc = include_str!("../../docs/checks/wf004.md")]
pub mod wf004 {}

#[doc = include_str!("../../docs/checks/wf005.md")]
pub mod wf005 {}

#[doc = include_str!("../../docs/checks/wf006.md")]
pub mod wf006 {}

#[doc = include_str!("../../docs/checks/wf007.md")]
pub mod wf007 {}

#[doc = include_str!("../../docs/checks/wf008.md")]
pub mod wf008 {}

#[doc = include_str!("../../docs/checks/wf009.md")]
pub mod wf009 {}

#[doc = include_str!("../../docs/checks/wf010.md")]
pub mod wf010 {}

#[doc = include_str!("../../docs/checks/wf011.md")]
pub mod wf011 {}

#[doc = include_str!("../../docs/checks/wf012.md")]
pub mod wf012 {}

#[doc = include_str!("../../docs/checks/wf013.md")]
pub mod wf013 {}

#[doc = include_str!("../../docs/checks/wf014.md")]
pub mod wf014 {}

#[doc = include_str!("../../docs/checks/wf015.md")]
pub mod wf015 {}

#[doc = include_str!("../../docs/checks/wf016.md")]
pub mod wf016 {}
