package nullserver

import (
	"context"
	"errors"
	"time"

	"holdfast/loadgen"
	"holdfast/loadgen/driver/rocketmq"
)

// Ceiling is what a load generator reaches when the system takes no time.
type Ceiling struct {
	PerSecond    float64 // acknowledgements a second; generator and server share the machine
	PerCPUSecond float64 // acknowledgements a second of the generator's own processor time
	Sent         int64
}

// Measure runs cfg as a closed loop against a null server for that long, after a tenth of it as warm-up. Of cfg, System,
// Topic, Queues, Rate and Recorder are replaced; a figure reached against a real system that comes near to this one
// is the generator's, not the system's. settings gives the header form and what else is the driver's; its servers and
// groups are replaced.
func Measure(ctx context.Context, cfg loadgen.Config, settings rocketmq.Config, length time.Duration) (Ceiling, error) {
	server, err := Start("127.0.0.1:0")
	if err != nil {
		return Ceiling{}, err
	}
	settings.NameServers, settings.Groups, settings.Nodes = []string{server.Address()}, []string{BrokerName}, nil
	system, err := rocketmq.New(settings)
	if err != nil {
		return Ceiling{}, errors.Join(err, server.Close())
	}
	cfg.System, cfg.Topic, cfg.Queues, cfg.Rate, cfg.Poisson, cfg.Recorder = system, "ceiling", queues, 0, false, nil
	load, err := loadgen.Start(ctx, cfg)
	if err != nil {
		return Ceiling{}, errors.Join(err, server.Close())
	}
	wait(ctx, length/10)
	load.Mark()
	wait(ctx, length)
	s := load.Stop()
	c := Ceiling{PerSecond: s.Throughput, Sent: s.WindowAcked}
	if s.CPU > 0 {
		c.PerCPUSecond = float64(s.WindowAcked) / s.CPU.Seconds()
	}
	return c, errors.Join(ctx.Err(), s.Err, server.Close())
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
