// Package network is the sandbox's network: a packet switch in user space, a process of its own, between network
// namespaces. Each host has a namespace with one TUN device, whose other end is in the switch; rules (see [Rule]) drop,
// delay, hold, repeat and limit what passes, seeded and counted. It decides nothing about which hosts a fault is for:
// [rule.Of] turns a fault whose roles are resolved into rules, [Client.Set] puts them in force.
//
// The runner holds a [Client]; the switch is a re-execution of the same binary (see [Main]). Only IPv4 is carried.
// Nothing of it is global: no forwarding is enabled, no rule of the kernel's changed, and the devices go with the process.
//
// # What a packet is
//
// Segments of up to 64 KiB pass whole, with their virtio header, and their checksums are only completed when they leave
// for a real wire, that is never: so one stream has 0.6 of the throughput of a pair of veth devices (1.5 to 2 GB/s on 2
// busy cores), and a round trip takes some 30 us more than over loopback. The MTU is 1500 all the same: one of 65000 gave
// 0.64 of veth where 1500 gave 0.62 (medians of three runs).
//
// While a rule is about a share of packets or a rate, the hosts that it concerns as senders cut segments up before the
// switch sees them: a percentage is one of packets as a wire carries them. Under the other rules (drop, delay, clog) and
// in [Stats] a packet may be a whole segment. Segments that a host had queued before the rule came are single packets to
// it.
//
// # Order
//
// Packets from one host to another keep their order under every rule but Reorder. Jitter thus makes a path whose length
// varies, where a late packet holds up those behind it, unlike netem, under which jitter reorders and TCP takes the
// disorder for loss. After a delay has ended, what is still on its way is not overtaken either.
//
// # Power
//
// A host whose outlet at the power line is off is cut off from that instant: the line is read when a packet leaves its
// host and again when it would arrive.
package network
