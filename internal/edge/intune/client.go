package intune

import (
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

const defaultBlockSize = 8 << 20

// Options say how a Client works; the zero value is right for most.
type Options struct {
	TempDir   string // where content that cannot be read at random is kept meanwhile; the system's when empty
	BlockSize int    // bytes of an upload block; 0 means 8 MiB
	// ExportAbove is how many rows of a report are read page by page; a longer
	// one is exported. 0 means 5,000.
	ExportAbove int
	// Uploads bounds the bytes of blocks that several clients hold at once; nil
	// bounds nothing. It must have room for one block.
	Uploads *semaphore.Weighted
}

// A Client works on one tenant's apps, devices and groups. It is safe for
// concurrent use. Make one for each tenant and keep it: what was learned about
// the tenant lives in it.
type Client struct {
	api       *msgraph.Client
	tempDir   string
	blockSize int
	uploads   *semaphore.Weighted

	exportAbove int

	mu         sync.Mutex
	slots      map[slotKey]slotApps                   // nil until listed
	single     bool                                   // the tenant takes no list of architectures
	believed   bool                                   // what slots lacks is not there
	successors map[slotKey]map[fleet.PackageID]string // slots whose apps supersede others, as markers told
	unassigned map[string]time.Time                   // ids of apps that were made here and have not been assigned, and when
	groups     map[groupMarker]string                 // packmill's groups' ids; nil until listed
	judged     map[string]judged                      // other groups, by id
	named      map[string]namedGroup                  // the tenant's own, by name
	users      map[string]string                      // device's directory object id → its primary user's
	devices    map[string]string                      // managed device id → directory object id; nil until listed
	filters    []assignmentFilter                     // nil until listed
}

// New makes a client of the tenant that api calls.
func New(api *msgraph.Client, o Options) *Client {
	c := &Client{
		api: api, tempDir: o.TempDir, blockSize: o.BlockSize, exportAbove: o.ExportAbove, uploads: o.Uploads,
		judged: map[string]judged{}, named: map[string]namedGroup{}, successors: map[slotKey]map[fleet.PackageID]string{}, unassigned: map[string]time.Time{},
	}
	if c.blockSize <= 0 {
		c.blockSize = defaultBlockSize
	}
	if c.exportAbove <= 0 {
		c.exportAbove = defaultExportAbove
	}
	return c
}
