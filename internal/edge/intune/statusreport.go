package intune

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/reports"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	reportVersion = "v1.0"
	reportPath    = "/" + reportVersion + "/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport"

	// reportPage is how many rows of the installation report are asked for at once.
	reportPage = 500

	// reportReadings is how often a report that moves is read from the start.
	reportReadings = 3

	// defaultExportAbove is from how many rows on a report is exported: paging
	// through it would take more requests than a job and a download, and move
	// while it is read.
	defaultExportAbove = 10 * reportPage
)

func pageColumns() columns { return columns{state: "InstallState"} }

// reportRequest asks for a page. The documentation forbids to rely on columns
// that were not asked for, so all are, always.
type reportRequest struct {
	Filter  string   `json:"filter"`
	Select  []string `json:"select"`
	Skip    int      `json:"skip"`
	Top     int      `json:"top"`
	OrderBy []string `json:"orderBy"`
}

// ofApp is the filter of both reports for one app.
func ofApp(app string) string {
	return "(ApplicationId eq '" + strings.ReplaceAll(app, "'", "''") + "')"
}

// readReport reads all rows of the installation report of an app; devices are
// under the ids of managed devices.
//
// The service counts its rows anew with every page. When the count moved while
// the pages were read, a row may have been passed over, so the report is read
// again, a few times; what does not come to rest is exported, which is of one
// instant. A row that was told twice does no harm: the newest of a device counts.
func (c *Client) readReport(ctx context.Context, app string) ([]fleet.DeviceStatus, error) {
	for range reportReadings {
		rows, first, whole, err := c.readPages(ctx, app)
		if err != nil {
			return nil, err
		}
		if first > c.exportAbove {
			break
		}
		if whole {
			return rows, nil
		}
		c.api.Log().DebugContext(ctx, "the installation report moved while it was read", "tenant", c.api.Directory(), "app", app)
	}
	return c.exportReport(ctx, app)
}

// readPages reads the report's pages once. first is how many rows it had at the
// first page; whole is false when it moved, or is to be exported.
func (c *Client) readPages(ctx context.Context, app string) (out []fleet.DeviceStatus, first int, whole bool, err error) {
	for skip := 0; ; {
		p, err := c.reportPage(ctx, app, skip)
		if err != nil {
			return nil, 0, false, err
		}
		if skip == 0 {
			first = p.Total
		}
		if first > c.exportAbove || p.Total != first {
			return nil, first, false, nil
		}
		for _, row := range p.Rows {
			out = append(out, pageColumns().status(row))
		}
		// A service may send fewer rows than were asked for.
		skip += len(p.Rows)
		if len(p.Rows) == 0 || skip >= p.Total {
			break
		}
	}
	return out, first, len(out) == first, nil
}

func (c *Client) reportPage(ctx context.Context, app string, skip int) (reports.Page, error) {
	var raw json.RawMessage
	req := reportRequest{Filter: ofApp(app), Select: pageColumns().names(), Skip: skip, Top: reportPage, OrderBy: []string{"DeviceId"}}
	// A report changes nothing: asking twice is harmless.
	if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPost, reportPath, req, &raw); err != nil {
		return reports.Page{}, err
	}
	return reports.ReadPage(bytes.NewReader(raw), pageColumns().names(), reports.Published())
}
