package reports

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// maxFiles is how many files an export's zip may hold; it has one.
const maxFiles = 16

// ReadExport reads an export, a zip of the given size with one CSV file that
// must have the columns need, and hands on its rows one after the other. Errors
// are of kind Invalid, or what row returned.
func ReadExport(r io.ReaderAt, size int64, need []string, l Limits, row func(Row) error) error {
	if size <= 0 {
		return fleet.Errorf(fleet.Invalid, "reports.export", "", "the export is empty")
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return fleet.Errorf(fleet.Invalid, "reports.export", "", "is no zip: %w", err)
	}
	if len(archive.File) > maxFiles {
		return fleet.Errorf(fleet.Invalid, "reports.export", "", "the zip holds %d files", len(archive.File))
	}
	var files []*zip.File
	for _, f := range archive.File {
		if strings.HasSuffix(strings.ToLower(f.Name), ".csv") {
			files = append(files, f)
		}
	}
	if len(files) != 1 {
		return fleet.Errorf(fleet.Invalid, "reports.export", "", "the zip holds %d CSV files, not one", len(files))
	}
	most := min(l.Bytes, size*l.Ratio)
	if files[0].UncompressedSize64 > uint64(most) {
		return fleet.Errorf(fleet.Invalid, "reports.export", "", "%d downloaded bytes would unpack to %d, more than %d: refused as a zip bomb", size, files[0].UncompressedSize64, most)
	}
	in, err := files[0].Open()
	if err != nil {
		return fleet.Errorf(fleet.Invalid, "reports.export", "", "the CSV file cannot be unpacked: %w", err)
	}
	defer in.Close()
	return readCSV(in, need, most, l.Rows, row)
}

// errLong says that a file or a line of it does not end.
var errLong = errors.New("is longer than it may be")

// A bounded reader ends with errLong after so many bytes, of the whole and of a
// line: the CSV reader holds a whole line, and a quoted cell may go on over many.
type bounded struct {
	in         io.Reader
	left, line int64
}

const maxLine = maxColumns * 1 << 10

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 || b.line > maxLine {
		return 0, errLong
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		b.line = int64(n - i - 1)
	} else {
		b.line += int64(n)
	}
	return n, err
}

func readCSV(in io.Reader, need []string, most int64, rows int, row func(Row) error) error {
	buffered := bufio.NewReader(&bounded{in: in, left: most})
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3) // what was peeked is there
	}
	lines := csv.NewReader(buffered)
	lines.FieldsPerRecord = -1
	lines.ReuseRecord = true
	head, err := lines.Read()
	if err == io.EOF {
		return fleet.Errorf(fleet.Invalid, "reports.csv", "", "the file is empty, not even columns are named")
	}
	if err != nil {
		return fleet.Errorf(fleet.Invalid, "reports.csv", "", "its first line: %w", err)
	}
	columns, err := columnsOf(slices.Clone(head), need)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		cells, err := lines.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fleet.Errorf(fleet.Invalid, "reports.csv", "", "row %d: %w", n, err)
		}
		if n > rows {
			return fleet.Errorf(fleet.Invalid, "reports.csv", "", "more than %d rows", rows)
		}
		if len(cells) != len(columns) {
			return fleet.Errorf(fleet.Invalid, "reports.csv", "", "row %d has %d cells and there are %d columns", n, len(cells), len(columns))
		}
		out := Row{columns: columns, cells: make([]string, len(cells))}
		for i, c := range cells {
			if len(c) > maxCell {
				return fleet.Errorf(fleet.Invalid, "reports.csv", "", "row %d: a cell of %d bytes", n, len(c))
			}
			out.cells[i] = strings.ToValidUTF8(c, "")
		}
		if err := row(out); err != nil {
			return err
		}
	}
}
