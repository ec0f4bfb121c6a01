package conformance

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// frame is a command with a JSON header, read and written by the standard library: a second opinion on the broker's codec.
type frame struct {
	Code      int               `json:"code"`
	Language  string            `json:"language"`
	Version   int               `json:"version"`
	Opaque    int32             `json:"opaque"`
	Flag      int               `json:"flag"`
	Remark    string            `json:"remark"`
	ExtFields map[string]string `json:"extFields"`
	body      []byte
	raw       []byte // the whole frame as it came
}

func readFrame(r io.Reader) (*frame, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	raw := make([]byte, 4+binary.BigEndian.Uint32(length[:]))
	copy(raw, length[:])
	if _, err := io.ReadFull(r, raw[4:]); err != nil {
		return nil, err
	}
	return parseFrame(raw)
}

func parseFrame(raw []byte) (*frame, error) {
	head := binary.BigEndian.Uint32(raw[4:])
	if form := head >> 24; form != 0 {
		return nil, fmt.Errorf("header form %d", form)
	}
	f := &frame{raw: raw, body: raw[8+head:]}
	return f, json.Unmarshal(raw[8:8+head], f)
}

func (f *frame) write(w io.Writer) error {
	header, err := json.Marshal(f)
	if err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(f.body)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	_, err = w.Write(append(append(b, header...), f.body...))
	return err
}
