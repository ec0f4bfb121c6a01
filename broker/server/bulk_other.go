//go:build !linux

package server

import (
	"errors"
	"net"

	"holdfast/broker/vfs"
)

// fileSender sends nothing where the kernel is not asked to.
type fileSender struct{}

func fileSenderOf(net.Conn) fileSender { return fileSender{} }

func (fileSender) possible(vfs.File) bool { return false }

func (fileSender) send(vfs.File, int64, int) (int, error) { return 0, errors.ErrUnsupported }
