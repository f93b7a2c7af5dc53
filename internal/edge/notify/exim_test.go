//go:build unix

package notify

import (
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

//go:embed testdata/exim.conf
var eximConf string

// exim starts a real exim with TLS and authentication and gives its folder,
// its two ports and what to trust.
func exim(t *testing.T) (dir string, starttls, implicit int, roots *x509.CertPool) {
	t.Helper()
	program := testreq.Program(t, "exim4")
	testreq.Root(t)
	account, err := user.Lookup("Debian-exim")
	testreq.Need(t, "exim4", err == nil, "there is no user Debian-exim")
	dir, err = os.MkdirTemp("", "exim") // not below a folder that only root may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cert, roots := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	starttls, implicit = freePort(t), freePort(t)
	conf := strings.NewReplacer("$DIR", dir, "$STARTTLS", strconv.Itoa(starttls), "$IMPLICIT", strconv.Itoa(implicit)).Replace(eximConf)
	for name, data := range map[string][]byte{
		"exim.conf": []byte(conf),
		"srv.pem":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		"srv.key":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	for _, name := range []string{".", "spool", "mail", "srv.pem", "srv.key"} {
		path := filepath.Join(dir, name)
		_ = os.Mkdir(path, 0o750) // the files are there
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "exim.conf"), 0o644); err != nil { // its deliveries read it too
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-C", filepath.Join(dir, "exim.conf"), "-bdf")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its deliveries end with it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	for range 200 {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(implicit))); err == nil {
			c.Close()
			return dir, starttls, implicit, roots
		}
		time.Sleep(25 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "spool", "mainlog"))
	t.Fatalf("exim does not answer: %s", log)
	return "", 0, 0, nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestExim delivers through a real mail server, and is refused by it.
func TestExim(t *testing.T) {
	dir, starttls, implicit, roots := exim(t)
	options := func(security string) SMTPOptions {
		o := SMTPOptions{Host: "localhost", Port: starttls, Security: security, User: "notify", Password: "secret123",
			From: "updates@operator.example", Roots: roots, Clock: clock()}
		if security == ImplicitTLS {
			o.Port = implicit
		}
		return o
	}
	send := func(o SMTPOptions, to string) error {
		s, err := NewSMTP(o)
		if err != nil {
			t.Fatal(err)
		}
		m := message()
		m.To = []string{to}
		return s.Deliver(t.Context(), m)
	}
	for _, security := range []string{StartTLS, ImplicitTLS} {
		if err := send(options(security), "updates@tenant1.example"); err != nil {
			t.Fatalf("%s: %v", security, err)
		}
	}
	mails := arrived(t, dir, 2)
	for _, data := range mails {
		checkMail(t, data, message(), "updates@operator.example")
		if !strings.Contains(string(data), "with esmtpsa") {
			t.Errorf("exim did not see an authenticated, encrypted session:\n%s", data)
		}
	}
	wrong := options(StartTLS)
	wrong.Password = "wrong"
	nobody := options(StartTLS)
	nobody.User, nobody.Password = "", ""
	for name, c := range map[string]struct {
		o    SMTPOptions
		to   string
		kind fleet.Kind
	}{
		"wrong password":    {wrong, "updates@tenant1.example", fleet.Refused},
		"no password":       {nobody, "updates@tenant1.example", fleet.Refused},
		"unknown recipient": {options(StartTLS), "bounce@tenant1.example", fleet.Invalid},
		"grey-listed":       {options(ImplicitTLS), "greylist@tenant1.example", fleet.Waiting},
		"no relay":          {options(ImplicitTLS), "someone@elsewhere.example", fleet.Invalid},
	} {
		if err := send(c.o, c.to); err == nil || fleet.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%v), want %v", name, err, fleet.KindOf(err), c.kind)
		}
	}
	if got := arrived(t, dir, 2); len(got) != 2 {
		t.Errorf("%d mails arrived after refusals", len(got))
	}
}

// arrived waits until n mails lie in exim's mail folders.
func arrived(t *testing.T, dir string, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for range 200 {
		files, err := filepath.Glob(filepath.Join(dir, "mail", "*", "new", "*"))
		if err != nil {
			t.Fatal(err)
		}
		out = nil
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, data)
		}
		if len(out) >= n {
			return out
		}
		time.Sleep(25 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "spool", "mainlog"))
	t.Fatalf("%d of %d mails arrived:\n%s", len(out), n, log)
	return nil
}
