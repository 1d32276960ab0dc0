// Package child starts processes that end with the one that started them.
package child

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a process that was started.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	status error
}

// Start starts cmd in a process group of its own. It is killed when this process
// ends, whatever becomes of that.
func Start(cmd *exec.Cmd) (*Process, error) {
	return StartFrom(cmd, func() error { return nil })
}

// StartFrom starts cmd, as Start does, from a thread that has run prepare: the process
// inherits what that set of its thread, and nobody else uses the thread afterwards. An
// error of prepare is returned, and nothing is started.
func StartFrom(cmd *exec.Cmd, prepare func() error) (*Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	// The parent-death signal follows the thread that started the process, so
	// that thread lives as long as the process does. It is never unlocked, so that it
	// ends with its goroutine.
	go func() {
		runtime.LockOSThread()
		err := prepare()
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			p.status = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID is the process's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Status says how it ended, once Exited is closed: nil if well.
func (p *Process) Status() error { return p.status }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// End sends a signal that ends the process, which may have ended already, and
// waits until it is gone.
func (p *Process) End(s syscall.Signal) error {
	err := p.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.exited
	return err
}
