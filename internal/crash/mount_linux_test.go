package crash_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"onramp/internal/tooltest"
)

// mount makes the disk a folder, until unmount or the test's end. Where the
// machine can't, the test is skipped, or fails if ONRAMP_TEST_REQUIRE names fuse.
//
// Only other processes may use the folder: this one serves it, and would wait
// for itself when it forks with a file of it open.
func (d *disk) mount(t *testing.T) (folder string, unmount func()) {
	t.Helper()
	folder, err := os.MkdirTemp("", "onramp-crash-")
	if err != nil {
		t.Fatal(err)
	}
	if err := attach(folder, &folderNode{disk: d}); err != nil {
		os.Remove(folder)
		tooltest.Missing(t, "fuse", err)
	}
	unmount = sync.OnceFunc(func() {
		if err := detach(folder); err != nil {
			t.Errorf("%s is still mounted: %v", folder, err)
		}
		os.Remove(folder)
	})
	t.Cleanup(unmount)
	return folder, unmount
}

// attach mounts by itself where it is root, else by fusermount3.
func attach(folder string, root fs.InodeEmbedder) error {
	quiet := log.New(io.Discard, "", 0)
	forever := time.Hour // nobody changes the disk behind the kernel's back
	options := &fs.Options{
		MountOptions: fuse.MountOptions{FsName: "onramp-crash", Name: "crash", Logger: quiet, DisableXAttrs: true},
		AttrTimeout:  &forever, EntryTimeout: &forever, Logger: quiet,
	}
	if os.Geteuid() != 0 {
		_, err := fs.Mount(folder, root, options)
		return err
	}
	// go-fuse would leave the device open in every process that the test starts
	device, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/fuse: %w", err)
	}
	how := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d", device, syscall.S_IFDIR, os.Getuid(), os.Getgid())
	if err := syscall.Mount("onramp-crash", folder, "fuse.crash", syscall.MS_NOSUID|syscall.MS_NODEV, how); err != nil {
		syscall.Close(device)
		return fmt.Errorf("mount: %w", err)
	}
	if _, err := fs.Mount(fmt.Sprintf("/dev/fd/%d", device), root, options); err != nil {
		return errors.Join(err, detach(folder))
	}
	return nil
}

// detach unmounts a folder, or has it unmounted when the last process leaves it.
func detach(folder string) error {
	if os.Geteuid() == 0 {
		return syscall.Unmount(folder, syscall.MNT_DETACH)
	}
	if out, err := exec.Command("fusermount3", "-u", "-z", folder).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// folderNode is the root, which has files only.
type folderNode struct {
	fs.Inode
	disk *disk
}

var (
	_ fs.NodeLookuper = (*folderNode)(nil)
	_ fs.NodeCreater  = (*folderNode)(nil)
	_ fs.NodeUnlinker = (*folderNode)(nil)
	_ fs.NodeLinker   = (*folderNode)(nil)
	_ fs.NodeRenamer  = (*folderNode)(nil)
	_ fs.NodeFsyncer  = (*folderNode)(nil)
)

// Lookup finds a file.
func (n *folderNode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	f := n.disk.find(name)
	if f == nil {
		return nil, syscall.ENOENT
	}
	return n.inode(ctx, f, &out.Attr), 0
}

// Create makes a file.
func (n *folderNode) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	f, errno := n.disk.create(name, mode)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return n.inode(ctx, f, &out.Attr), nil, 0, 0
}

func (n *folderNode) inode(ctx context.Context, f *file, out *fuse.Attr) *fs.Inode {
	node := &fileNode{disk: n.disk, file: f}
	node.attributes(out)
	return n.NewInode(ctx, node, fs.StableAttr{Mode: syscall.S_IFREG, Ino: f.inode})
}

// Unlink removes a file's name; those who have it open keep it.
func (n *folderNode) Unlink(_ context.Context, name string) syscall.Errno { return n.disk.remove(name) }

// Link gives a file a further name.
func (n *folderNode) Link(_ context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	node, ok := target.(*fileNode)
	if !ok {
		return nil, syscall.EPERM
	}
	if errno := n.disk.link(node.file, name); errno != 0 {
		return nil, errno
	}
	node.attributes(&out.Attr)
	return node.EmbeddedInode(), 0
}

// Rename changes a file's name; flags would ask for an exchange, or to replace nothing.
func (n *folderNode) Rename(_ context.Context, old string, _ fs.InodeEmbedder, name string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	return n.disk.rename(old, name)
}

// Fsync makes the names safe.
func (n *folderNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.syncNames()
}

// fileNode is a file.
type fileNode struct {
	fs.Inode
	disk *disk
	file *file
}

var (
	_ fs.NodeOpener    = (*fileNode)(nil)
	_ fs.NodeGetattrer = (*fileNode)(nil)
	_ fs.NodeSetattrer = (*fileNode)(nil)
	_ fs.NodeReader    = (*fileNode)(nil)
	_ fs.NodeWriter    = (*fileNode)(nil)
	_ fs.NodeFsyncer   = (*fileNode)(nil)
)

func (n *fileNode) attributes(out *fuse.Attr) {
	out.Mode, out.Ino, out.Nlink = syscall.S_IFREG|n.file.mode, n.file.inode, n.disk.links(n.file)
	out.Size = uint64(n.disk.size(n.file))
	out.Owner = fuse.Owner{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
}

// Open needs no handle: the node knows everything.
func (n *fileNode) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Getattr returns the size.
func (n *fileNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.attributes(&out.Attr)
	return 0
}

// Setattr moves the end of the file; modes and times stay as they are.
func (n *fileNode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.disk.truncate(n.file, int(size)); errno != 0 {
			return errno
		}
	}
	n.attributes(&out.Attr)
	return 0
}

// Read reads at an offset.
func (n *fileNode) Read(_ context.Context, _ fs.FileHandle, into []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	read, errno := n.disk.read(n.file, into, int(at))
	return fuse.ReadResultData(into[:read]), errno
}

// Write writes at an offset.
func (n *fileNode) Write(_ context.Context, _ fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	if errno := n.disk.write(n.file, data, int(at)); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

// Fsync makes the content safe.
func (n *fileNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.sync(n.file)
}
