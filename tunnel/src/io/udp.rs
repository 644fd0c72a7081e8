//! stub
#![allow(missing_docs)]
use super::{Wire, batch::*};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
#[derive(Default, Clone, Debug)]
pub struct Listen {
    pub addresses: Vec<IpAddr>,
    pub ike_port: u16,
    pub nat_port: u16,
    pub mark: Option<u32>,
}
pub struct Sockets;
#[derive(Debug)]
pub struct BindError;
impl std::fmt::Display for BindError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl Sockets {
    pub fn bind(_: &Listen) -> Result<Self, BindError> {
        Ok(Self)
    }
    pub fn local_ports(&self) -> (u16, u16) {
        (0, 0)
    }
    pub fn source_towards(&self, _: IpAddr) -> Option<IpAddr> {
        None
    }
    pub fn send_one(&self, _: SocketAddr, _: SocketAddr, _: &[u8], _: u8) -> io::Result<()> {
        Ok(())
    }
}
impl Wire for Sockets {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![]
    }
    fn receive(&self, _: usize, _: &mut ReceiveBatch) -> io::Result<usize> {
        Ok(0)
    }
    fn send(&self, _: &SendBatch) -> io::Result<usize> {
        Ok(0)
    }
    fn path_mtu_errors(&self, _: usize, _: &mut dyn FnMut(IpAddr, usize)) {}
}
