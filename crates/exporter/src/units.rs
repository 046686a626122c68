//! Raw units of the kernel and of devices, each converted to the base unit in one place.

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($raw:ty) . $method:ident = $factor:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub $raw);

        impl $name {
            #[doc = $what]
            pub fn $method(self) -> f64 {
                self.0 as f64 * $factor
            }
        }
    };
}

unit!(
    /// Millionths of a joule, as in powercap's `energy_uj`.
    Microjoules(u64).joules = 1e-6, "In joules.");
unit!(
    /// Millionths of a watt, as in powercap's `power_limit_uw` and hwmon's `power*_input`.
    Microwatts(u64).watts = 1e-6, "In watts.");
unit!(
    /// Thousandths of a degree Celsius, as in hwmon's `temp*_input` and thermal zones' `temp`.
    Millicelsius(i64).celsius = 1e-3, "In degrees Celsius.");
unit!(
    /// Millionths of a second, as in powercap's `time_window_us`.
    Microseconds(u64).seconds = 1e-6, "In seconds.");
unit!(
    /// 1024 bytes, as in `/proc/meminfo` and `/proc/<pid>/status`.
    Kibibytes(u64).bytes = 1024.0, "In bytes.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_become_base_units() {
        assert!((Microjoules(2_500_000).joules() - 2.5).abs() < 1e-12);
        assert!((Microwatts(15_000_000).watts() - 15.0).abs() < 1e-12);
        assert!((Millicelsius(-40_500).celsius() + 40.5).abs() < 1e-12);
        assert!((Microseconds(976).seconds() - 0.000_976).abs() < 1e-15);
        assert!((Kibibytes(3).bytes() - 3072.0).abs() < f64::EPSILON);
    }
}
