//! Whether there is a hypervisor below, and which.

use serde::{Deserialize, Serialize};

use super::source::{CpuInfo, Root};

/// Whether this is a virtual machine, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Virtualization {
    /// Whether it is one; `None` where nothing speaks for or against it.
    pub virtual_machine: Option<bool>,
    /// What it runs on, where that shows.
    pub hypervisor: Option<String>,
    /// Whether the CPUs say that there is a hypervisor; `None` on anything but x86.
    pub cpu_flag: Option<bool>,
    /// What Xen, and others that stand in for it, say of themselves.
    pub hypervisor_type: Option<String>,
    /// The machine's maker, by its firmware.
    pub system_vendor: Option<String>,
    /// What they call it.
    pub product_name: Option<String>,
}

/// Firmware that only virtual machines have: how vendor and product begin, and the hypervisor.
const FIRMWARE: [(&str, &str, &str); 10] = [
    ("", "KVM", "KVM"),
    ("QEMU", "", "QEMU"),
    ("VMware", "", "VMware"),
    ("innotek", "VirtualBox", "VirtualBox"),
    ("Microsoft", "Virtual Machine", "Hyper-V"),
    ("Xen", "", "Xen"),
    ("Parallels", "", "Parallels"),
    ("Apple", "Apple Virtualization", "Apple"),
    ("Bochs", "", "Bochs"),
    ("OpenStack", "", "OpenStack"),
];

/// Firmware of those who let virtual and bare machines, alike but for the product's name.
const CLOUDS: [(&str, &str); 3] = [
    ("Amazon EC2", ""),
    ("Google", "Google Compute Engine"),
    ("Alibaba Cloud", ""),
];

/// Clocks that only guests have.
const CLOCKS: [(&str, &str); 3] = [("kvm-clock", "KVM"), ("hyperv", "Hyper-V"), ("xen", "Xen")];

impl Virtualization {
    pub(super) fn read(root: Root<'_>, cpu_info: &CpuInfo) -> Self {
        let cpu_flag = cpu_info.have(&["hypervisor"]);
        let hypervisor_type = root.text("sys/hypervisor/type");
        let system_vendor = root.text("sys/class/dmi/id/sys_vendor");
        let product_name = root.text("sys/class/dmi/id/product_name");
        let vendor = system_vendor.as_deref().unwrap_or_default();
        let product = product_name.as_deref().unwrap_or_default();

        // The most particular first: QEMU may run on KVM or on its own.
        let telling = of_clocks(root)
            .or_else(|| hypervisor_type.as_deref().map(of_type))
            .or_else(|| of_device_tree(root))
            .or_else(|| of_firmware(vendor, product).map(str::to_owned));
        let cloud = CLOUDS.iter().any(|(of_vendor, of_product)| {
            vendor.starts_with(of_vendor) && product.starts_with(of_product)
        });
        // The flag tells which it is, and where there is none, the name has to.
        let bare = product.to_ascii_lowercase().contains("metal");
        let rented = cloud && cpu_flag.is_none() && !bare;
        let virtual_machine = match cpu_flag {
            _ if telling.is_some() || rented => Some(true),
            Some(flag) => Some(flag),
            None => (!vendor.is_empty()).then_some(false),
        };
        let by_vendor = || cloud.then(|| vendor.to_owned());
        Self {
            virtual_machine,
            hypervisor: telling
                .or_else(by_vendor)
                .filter(|_| virtual_machine == Some(true)),
            cpu_flag,
            hypervisor_type,
            system_vendor,
            product_name,
        }
    }
}

fn of_firmware(vendor: &str, product: &str) -> Option<&'static str> {
    let mut known = FIRMWARE.iter();
    let found = known.find(|(of_vendor, of_product, _)| {
        vendor.starts_with(of_vendor) && product.starts_with(of_product)
    });
    found.map(|&(_, _, hypervisor)| hypervisor)
}

fn of_clocks(root: Root<'_>) -> Option<String> {
    let clocks = root.text("sys/devices/system/clocksource/clocksource0/available_clocksource")?;
    let mut known = CLOCKS.iter();
    let found = known.find(|(start, _)| {
        let mut clocks = clocks.split_whitespace();
        clocks.any(|clock| clock.starts_with(start))
    });
    found.map(|&(_, hypervisor)| hypervisor.to_owned())
}

fn of_type(hypervisor_type: &str) -> String {
    match hypervisor_type {
        "xen" => "Xen".to_owned(),
        other => other.to_owned(),
    }
}

fn of_device_tree(root: Root<'_>) -> Option<String> {
    let compatible = root.text("sys/firmware/devicetree/base/hypervisor/compatible")?;
    Some(match compatible.as_str() {
        "linux,kvm" => "KVM".to_owned(),
        text if text.contains("xen") => "Xen".to_owned(),
        other => other.to_owned(),
    })
}
