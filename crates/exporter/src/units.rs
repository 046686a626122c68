//! Raw units of the kernel and of devices, each converted to the base unit in one place.
//!
//! By division, which is exact where the factor is a power of ten: 2 624 960 µJ are 2.62496 J, not 2.6249599999999997.

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($raw:ty).$method:ident, $what:literal, $($convert:tt)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub $raw);

        impl $name {
            #[doc = $what]
            pub fn $method(self) -> f64 {
                self.0 as f64 $($convert)+
            }
        }
    };
}

unit!(
    /// Millionths of a joule, as in powercap's `energy_uj`.
    Microjoules(u64).joules, "In joules.", / 1e6);
unit!(
    /// Millionths of a watt, as in powercap's `power_limit_uw` and hwmon's `power*_input`.
    Microwatts(u64).watts, "In watts.", / 1e6);
unit!(
    /// Thousandths of a degree Celsius, as in hwmon's `temp*_input` and thermal zones' `temp`.
    Millicelsius(i64).celsius, "In degrees Celsius.", / 1e3);
unit!(
    /// Millionths of a second, as in powercap's `time_window_us`.
    Microseconds(u64).seconds, "In seconds.", / 1e6);
unit!(
    /// 1024 bytes, as in `/proc/meminfo` and `/proc/<pid>/status`.
    Kibibytes(u64).bytes, "In bytes.", * 1024.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_values_become_base_units() {
        assert_eq!(Microjoules(2_624_960).joules().to_string(), "2.62496");
        assert!((Microjoules(2_500_000).joules() - 2.5).abs() < 1e-12);
        assert!((Microwatts(15_000_000).watts() - 15.0).abs() < 1e-12);
        assert!((Millicelsius(-40_500).celsius() + 40.5).abs() < 1e-12);
        assert!((Microseconds(976).seconds() - 0.000_976).abs() < 1e-15);
        assert!((Kibibytes(3).bytes() - 3072.0).abs() < f64::EPSILON);
    }
}
