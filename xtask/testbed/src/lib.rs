//! What the demo, the benchmark and the lab are made of: network namespaces, traffic that measures, and the product as
//! people drive it.

pub mod netns;
pub mod product;
pub mod traffic;
