//! stub
use crate::{Result, Tensor};
#[derive(Clone,Debug)] pub struct LossRef;
impl LossRef { pub fn for_shapes(&self,_:&Tensor,_:&Tensor)->Result<LossRef>{Ok(LossRef)} pub fn compute(&self,_:&Tensor,y:&Tensor,_:Option<&Tensor>)->Result<Tensor>{Ok(y.clone())} pub fn to_json(&self)->serde_json::Value{serde_json::Value::Null} pub fn from_json(_:&serde_json::Value)->Result<LossRef>{Ok(LossRef)} }
impl std::str::FromStr for LossRef { type Err=crate::Error; fn from_str(_:&str)->Result<LossRef>{Ok(LossRef)} }
