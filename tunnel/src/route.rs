//! stub
#![allow(missing_docs)]
use crate::action::CaptureId;
use std::net::IpAddr;
use std::os::fd::*;
use tidegate_esp::SelectorPair;
#[derive(Clone, Debug, Default)]
pub struct RouteSettings;
pub struct Routes;
#[derive(Debug)]
pub struct RouteError;
pub struct Changes {
    pub addresses_changed: bool,
    pub repaired: Vec<String>,
}
impl std::fmt::Display for RouteError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl AsFd for Routes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        panic!()
    }
}
impl Routes {
    pub fn open(_: RouteSettings) -> Result<Self, RouteError> {
        Err(RouteError)
    }
    pub fn capture(&mut self, _: CaptureId, _: &SelectorPair) -> Result<(), RouteError> {
        Ok(())
    }
    pub fn release(&mut self, _: CaptureId) -> Result<(), RouteError> {
        Ok(())
    }
    pub fn settled(&mut self) -> Result<(), RouteError> {
        Ok(())
    }
    pub fn add_address(&mut self, _: IpAddr) -> Result<(), RouteError> {
        Ok(())
    }
    pub fn remove_address(&mut self, _: IpAddr) -> Result<(), RouteError> {
        Ok(())
    }
    pub fn local_addresses(&mut self) -> Vec<IpAddr> {
        vec![]
    }
    pub fn handle_changes(&mut self) -> Changes {
        panic!()
    }
    pub fn dropped_in_clear(&self) -> Option<u64> {
        None
    }
    pub fn close(self) {}
}
