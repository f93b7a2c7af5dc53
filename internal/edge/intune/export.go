package intune

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/reports"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	exportVersion = "v1.0"
	exportsPath   = "/" + exportVersion + "/deviceManagement/reports/exportJobs"

	// statusExport is the installation report's name among exports (Microsoft,
	// "Intune reports and properties available using Graph API").
	statusExport = "DeviceInstallStatusByApp"

	// exportTries is how many jobs are begun when one fails or its address ends.
	exportTries = 2

	// maxExport caps what is downloaded of an export.
	maxExport = 512 << 20
)

func exportPath(id string) string { return exportsPath + "/" + url.PathEscape(id) }

func exportColumns() columns { return columns{state: "AppInstallState"} }

// An exportJob is a report that the service writes to its storage, as a zip with
// one file. The address ends after some hours and carries its own signature.
type exportJob struct {
	ID           string   `json:"id,omitempty"`
	Report       string   `json:"reportName,omitempty"`
	Filter       string   `json:"filter,omitempty"`
	Select       []string `json:"select,omitempty"`
	Format       string   `json:"format,omitempty"`
	Localization string   `json:"localizationType,omitempty"`
	Status       string   `json:"status,omitempty"`
	URL          string   `json:"url,omitempty"`
}

// exportReport reads the installation report of an app as an export: the same
// rows as readPages, of one instant.
func (c *Client) exportReport(ctx context.Context, app string) ([]fleet.DeviceStatus, error) {
	for try := 1; ; try++ {
		job, err := c.export(ctx, exportJob{
			Report: statusExport, Filter: ofApp(app), Select: exportColumns().names(), Format: "csv", Localization: "localizedValuesAsAdditionalColumn",
		})
		if err != nil {
			return nil, err
		}
		var out []fleet.DeviceStatus
		if job.Status == "completed" {
			err = c.download(ctx, job, exportColumns().names(), func(row reports.Row) error {
				out = append(out, exportColumns().status(row))
				return nil
			})
		} else {
			err = fmt.Errorf("the export job ended as %q", job.Status)
		}
		// An address may end before it is used, and a job fails at times.
		if again := job.Status != "completed" || transport.StatusOf(err) == http.StatusForbidden; err == nil || !again || try == exportTries {
			return out, err
		}
	}
}

// export begins a job and waits until it has ended. A job that is begun twice
// because its answer was lost costs the service some work and changes nothing.
func (c *Client) export(ctx context.Context, want exportJob) (exportJob, error) {
	var job exportJob
	if err := c.api.Call(transport.Repeatable(ctx), msgraph.Final, http.MethodPost, exportsPath, want, &job); err != nil {
		return job, err
	}
	if job.ID == "" {
		return job, fmt.Errorf("the service began an export without telling its id")
	}
	id := job.ID
	return job, c.api.Poll(ctx, "export completed", func() (bool, error) {
		job = exportJob{}
		if err := c.api.Call(ctx, msgraph.Fresh, http.MethodGet, exportPath(id), nil, &job); err != nil {
			return false, err
		}
		switch job.Status {
		case "notStarted", "inProgress", "unknown", "unknownFutureValue", "":
			return false, nil
		}
		return true, nil // completed, failed
	})
}

// download reads an export's rows. Its address leads to another service, which
// gets no token: the signature in it says enough. The zip is kept in a temporary
// file while it is read, since it must be read from its end.
func (c *Client) download(ctx context.Context, job exportJob, need []string, row func(reports.Row) error) error {
	req, err := http.NewRequest(http.MethodGet, job.URL, http.NoBody)
	if err != nil || req.URL.Host == "" {
		return fmt.Errorf("the export's address is none")
	}
	if base := c.api.Base(); base.Scheme == "https" && req.URL.Scheme != "https" {
		return fleet.Errorf(fleet.Refused, "intune.export", c.api.Directory(), "the export's address is not https")
	}
	resp, err := c.api.HTTP().Limit(maxExport).Do(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	tmp, err := os.CreateTemp(c.tempDir, "packmill-*.zip")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	size, err := io.Copy(tmp, resp.Body)
	if err != nil {
		return err
	}
	return reports.ReadExport(tmp, size, need, reports.Published(), row)
}
