#!/bin/sh
# The first process of a machine: makes the host's root the root, writable in memory, and starts the agent there.
die() { echo "vm: init: $1 failed"; poweroff -f; }
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev || die "mounting /proc, /sys or /dev"
for module in /modules/*; do
    [ ! -e "$module" ] || insmod "$module" || die "loading $module"
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower || die "mounting the host's root"
mount -t tmpfs -o size=80%,mode=755 memory /memory || die "mounting memory"
mkdir /memory/upper /memory/work || die "making directories in memory"
mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work overlay /new || die "mounting the overlay"
mount -t proc proc /new/proc && mount -t sysfs sys /new/sys && mount -t devtmpfs dev /new/dev || die "mounting /proc, /sys or /dev"
mount -t tmpfs -o mode=755 run /new/run || die "mounting /run"
mkdir /new/run/aggctl-vm && cp /plan.json /new/run/aggctl-vm/plan.json || die "copying the plan"
exec switch_root /new @AGENT@ vm --guest || die "starting the agent"
