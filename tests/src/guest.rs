//! Guests of the host (namespaces that are connected to it by a veth pair), and a DHCP server.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{Namespace, Outcome};

/// A namespace whose `eth0` is the other end of an interface of the host.
#[derive(Debug)]
pub struct Guest {
    /// The guest.
    pub namespace: Namespace,
}

impl Guest {
    /// Makes a guest; `interface` is the host's end.
    pub fn new(host: &Namespace, interface: &str) -> Self {
        let namespace = Namespace::new("g");
        namespace.set_sysctl("net/ipv6/conf/default/accept_dad", "0");
        host.ip(&format!("link add {interface} type veth peer name eth0 netns {}", namespace.name()));
        host.ip(&format!("link set {interface} up"));
        namespace.ip("link set eth0 up");
        host.keep_queues_short(interface);
        namespace.keep_queues_short("eth0");
        Self { namespace }
    }
}

/// Whether busybox is there and has an applet.
pub fn busybox_has(applet: &str) -> bool {
    let list = Command::new("busybox").arg("--list").output();
    list.is_ok_and(|list| String::from_utf8_lossy(&list.stdout).lines().any(|line| line == applet))
}

/// A DHCP server on `eth0` of a namespace that knows one address.
#[derive(Debug)]
pub struct DhcpServer {
    files: TempDir,
    process: Child,
}

impl DhcpServer {
    /// Starts the server; it hands out `address`.
    pub fn start(namespace: &Namespace, address: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name).display().to_string();
        let config = format!(
            "interface eth0\nstart {address}\nend {address}\nmax_leases 1\noption subnet 255.255.255.0\n\
             lease_file {}\npidfile {}\n",
            path("leases"),
            path("pid")
        );
        fs::write(path("server.conf"), config).unwrap();
        fs::write(path("leases"), "").unwrap();
        let script = "#!/bin/sh\n[ \"$1\" = bound ] || [ \"$1\" = renew ] || exit 0\n\
                      ip addr replace \"$ip/${mask:-24}\" dev \"$interface\"\n";
        fs::write(path("client.sh"), script).unwrap();
        fs::set_permissions(path("client.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = namespace.command("busybox");
        command.args(["udhcpd", "-f", "-I", crate::lab::CLIENT_V4, &path("server.conf")]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { files, process }
    }

    /// Asks for an address on `interface`, as a host's DHCP client does, and sets it.
    pub fn ask(&self, host: &Namespace, interface: &str) -> Outcome {
        let script = self.files.path().join("client.sh").display().to_string();
        host.exec(&format!("busybox udhcpc -f -q -n -t 20 -T 1 -i {interface} -s {script}"))
    }
}

impl Drop for DhcpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
