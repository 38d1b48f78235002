package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// singlePages has the kernel map pages of a file one by one. Else it maps with each page that is touched the 16 around it, or
// as many as it keeps together, so that a process has four times of its program mapped that it uses. What turns that off is
// userfaultfd(2): where a process may be asked about pages, the kernel maps none that was not touched. Nobody is ever asked
// here: only writes to protected pages would be told, the kernel answers those itself (WP_ASYNC), and no page is protected.
type singlePages struct{ fd int }

// What linux/userfaultfd.h calls so; x/sys/unix has none of it.
const (
	uffdUserModeOnly = 1 // flag of the system call, without which it takes a right of root's
	uffdAPI          = 0xaa
	uffdWPAsync      = 1 << 15 // feature
	uffdWP           = 2       // mode
	uffdioAPI        = 0xc018aa3f
	uffdioRegister   = 0xc020aa00
)

// openSinglePages fails where the kernel is older than 6.7, or a container's rules keep the system call from it, as Docker's do.
func openSinglePages() (*singlePages, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserModeOnly, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("opening a userfaultfd: %w", errno)
	}
	s := &singlePages{int(fd)}
	api := struct{ api, features, ioctls uint64 }{api: uffdAPI, features: uffdWPAsync}
	if err := s.ioctl(uffdioAPI, unsafe.Pointer(&api)); err != nil { //nolint:gosec // as the kernel wants it
		s.close()
		return nil, fmt.Errorf("asking for asynchronous write protection: %w", err)
	}
	return s, nil
}

// cover has it be so for the mappings from one address to before another, which may be covered already. A nil one only has no 2 MB
// mapped at once: so much the page cache may keep together of a file that was just written, and a userfaultfd doesn't turn that off.
func (s *singlePages) cover(from, to uintptr) error {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_NOHUGEPAGE) // a kernel that refuses this never does so
	if s == nil {
		return nil
	}
	register := struct{ start, length, mode, ioctls uint64 }{start: uint64(from), length: uint64(to - from), mode: uffdWP}
	if err := s.ioctl(uffdioRegister, unsafe.Pointer(&register)); err != nil { //nolint:gosec // as the kernel wants it
		return fmt.Errorf("having single pages mapped: %w", err)
	}
	return nil
}

func (s *singlePages) ioctl(request uintptr, about unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), request, uintptr(about)); errno != 0 {
		return errno
	}
	return nil
}

// close has the kernel map as ever.
func (s *singlePages) close() { _ = unix.Close(s.fd) }
