package message

import "net/netip"

// Host is an address and a port as records hold them. Whether it is an IPv4 address, in the first four bytes, or an IPv6
// address says the SysFlag of its record.
type Host struct {
	IP   [16]byte
	Port int32
}

// HostOf returns a's host, and whether it is an IPv6 address. An IPv4 address mapped into IPv6 is an IPv4 address.
func HostOf(a netip.AddrPort) (h Host, v6 bool) {
	h.Port = int32(a.Port())
	if ip := a.Addr().Unmap(); ip.Is4() {
		v4 := ip.As4()
		copy(h.IP[:], v4[:])
		return h, false
	}
	h.IP = a.Addr().As16()
	return h, true
}

// AddrPort is the inverse of HostOf; of the port it keeps the low 16 bits.
func (h Host) AddrPort(v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(netip.AddrFrom16(h.IP), uint16(h.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(h.IP[:4])), uint16(h.Port))
}

func (h *Host) append(dst []byte, v6 bool) []byte {
	if v6 {
		dst = append(dst, h.IP[:]...)
	} else {
		dst = append(dst, h.IP[:4]...)
	}
	return be.AppendUint32(dst, uint32(h.Port))
}

// read overwrites h from b and returns the bytes it took.
func (h *Host) read(b []byte, v6 bool) int {
	if v6 {
		copy(h.IP[:], b[:16])
		h.Port = int32(be.Uint32(b[16:]))
		return HostBytesV6
	}
	h.IP = [16]byte{}
	copy(h.IP[:4], b[:4])
	h.Port = int32(be.Uint32(b[4:]))
	return HostBytesV4
}
