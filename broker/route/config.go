package route

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/broker/remoting"
	"holdfast/broker/setting"
)

// Settings returns the keys of RocketMQ's namesrv.conf that mean something here. All of them may be changed at run time.
// Source: NamesrvConfig (RocketMQ 5.3.3).
func Settings() []setting.Setting[Config] {
	return []setting.Setting[Config]{
		setting.Bool("orderMessageEnable", func(c *Config) *bool { return &c.OrderMessage }),
	}
}

// Properties returns the configuration a line a key.
func (c *Config) Properties() string {
	var b strings.Builder
	for _, s := range Settings() {
		fmt.Fprintf(&b, "%s=%s\n", s.Name, s.Get(c))
	}
	return b.String()
}

// updateConfig serves UPDATE_NAMESRV_CONFIG: lines key=value, all of which take effect or none. They last as long as the process.
func (r *Registry) updateConfig(f *remoting.Frame, dst []byte) []byte {
	changed, settings := r.cfg, Settings()
	for line := range strings.SplitSeq(string(f.Body), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		at := slices.IndexFunc(settings, func(s setting.Setting[Config]) bool { return s.Name == strings.TrimSpace(name) })
		if at < 0 {
			return fail(dst, f, remoting.ResponseInvalidParameter, fmt.Sprintf("unknown key %q; what can be changed: orderMessageEnable", name))
		}
		if err := settings[at].Set(&changed, strings.TrimSpace(value)); err != nil {
			return fail(dst, f, remoting.ResponseInvalidParameter, fmt.Sprintf("%s: %v", line, err))
		}
	}
	r.cfg = changed
	return reply(dst, f, nil)
}

// KVChanges returns how often the KV table was changed.
func (r *Registry) KVChanges() int { return r.kvChanged }

// KV returns the KV table as RocketMQ's kvConfig.json holds it.
func (r *Registry) KV() []byte { return remoting.AppendKVConfig(nil, r.kv) }

// SetKV puts what a kvConfig.json holds into the KV table. It errs with remoting.ErrBody.
func (r *Registry) SetKV(contents []byte) error {
	kv, err := remoting.ParseKVConfig(contents)
	for _, e := range kv {
		r.Put(e.Namespace, e.Key, e.Value)
	}
	r.kvChanged = 0
	return err
}
