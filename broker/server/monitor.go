package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// monitor is what operators look at: an HTTP server with /metrics, /healthz and /readyz.
type monitor struct {
	listener net.Listener
	server   http.Server
}

// Bounds of what a scraper may use, so that one that misbehaves cannot use the broker up.
const (
	scrapesMax    = 2
	scrapeHeader  = 5 * time.Second
	scrapeTimeout = 30 * time.Second
	scrapeBytes   = 16 << 10
)

// listenMonitor binds the monitor's address, if there is one.
func (s *Server) listenMonitor() error {
	if s.cfg.MetricsListen == "" {
		return nil
	}
	l, err := s.cfg.Bind(s.cfg.MetricsListen)
	if err != nil {
		return fmt.Errorf("%w: listen for metrics on %s: %w", ErrStart, s.cfg.MetricsListen, err)
	}
	s.monitor.listener = l
	return nil
}

// serveMonitor serves until the monitor is closed.
func (s *Server) serveMonitor() {
	s.monitor.server = http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: scrapeHeader, ReadTimeout: scrapeHeader, WriteTimeout: scrapeTimeout, IdleTimeout: scrapeTimeout, MaxHeaderBytes: scrapeBytes,
	}
	s.spawn(func() {
		if err := s.monitor.server.Serve(s.monitor.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("metrics are not served any more", "err", err)
		}
	})
}

// MetricsAddr returns the address of /metrics, /healthz and /readyz; "" when they are not served.
func (s *Server) MetricsAddr() string {
	if s.monitor.listener == nil {
		return ""
	}
	return s.monitor.listener.Addr().String()
}

// Handler returns what serves /metrics, /healthz and /readyz, for a program that has an HTTP server of its own.
func (s *Server) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if node, ok := s.node.(sampled); ok {
		s.rpc.wanted.Store(true)
		registry.MustRegister(newMetrics(s, node), s.rpc.histogram)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, s.Err()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { say(w, s.Ready()) })
	return mux
}

// say answers 200, or 503 with the reason.
func say(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	io.WriteString(w, "ok\n")
}

// ErrNotReady wraps why a server does not do what its role is.
var ErrNotReady = errors.New("not ready")

// Ready returns nil when the server does what its role is: a master takes sends, a slave follows its master, both are known to a
// name server. Otherwise it errs with ErrNotReady, or with what ended the server.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if s.closing || s.stopped {
		return fmt.Errorf("%w: it has ended", ErrNotReady)
	}
	node, ok := s.node.(sampled)
	if !ok {
		return nil
	}
	sample := node.Sample()
	switch {
	case sample.Stopping:
		return fmt.Errorf("%w: it is stopping", ErrNotReady)
	case sample.Names > 0 && (!s.joined || sample.Away == sample.Names):
		return fmt.Errorf("%w: not registered at a name server", ErrNotReady)
	case sample.Full:
		return fmt.Errorf("%w: the disk is full", ErrNotReady)
	case sample.Fenced:
		return fmt.Errorf("%w: the controller was not reached in time", ErrNotReady)
	case !sample.Leads && sample.Peers == 0:
		return fmt.Errorf("%w: not connected to the master", ErrNotReady)
	}
	return nil
}
